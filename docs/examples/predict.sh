geoseg predict scene.tif --model model.safetensors --min-area 1ha \
  --confidence sure.tif -o map.tif
geoseg predict scene.tif --model model.safetensors --output-dir maps --resume
geoseg predict scene.tif --model model.safetensors --cluster local -o fast.tif
