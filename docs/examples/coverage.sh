geoseg coverage labels.tif --target forest --cell 600m -o forest.tif
