geoseg predict scene.tif --model model.safetensors -o predicted.tif
geoseg evaluate predicted.tif labels.tif
