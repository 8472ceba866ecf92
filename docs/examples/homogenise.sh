geoseg homogenise 'flights/*.tif' --method overlap -o even
