geoseg predict scene.tif --model model.safetensors --min-area 1ha \
  --confidence sure.tif -o map.tif
