geoseg export model.safetensors --check scene.tif -o model.onnx
geoseg predict scene.tif --model model.onnx -o map.tif
geoseg export model.onnx -o model.json
geoseg export map.tif --date 2020-07-14 -o map.json
geoseg export model.safetensors -o model.md
