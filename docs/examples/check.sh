geoseg check scene.tif --labels labels.tif -o problems.csv
