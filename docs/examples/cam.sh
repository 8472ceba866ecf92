geoseg tile scene.tif --labels labels.tif --size 32 --stride 16 -o seen
geoseg train seen --model shallow-cnn --optimizer adam --epochs 2 -o presence.safetensors
geoseg cam scene.tif --model presence.safetensors --weak-labels weak.tif -o cam.tif
