geoseg tile scene.tif --labels labels.tif --size 32 -o patches
geoseg tile scene.tif --labels labels.tif --size 32 --cluster local --resume -o shared
