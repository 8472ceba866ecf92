geoseg tile scene.tif --labels labels.tif --size 32 -o patches
