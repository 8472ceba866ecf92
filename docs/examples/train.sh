geoseg tile scene.tif --labels labels.tif --size 32 -o lessons
geoseg train lessons --model unet-small --model-option widths=8,16 \
  --loss '0.5*ce + 0.5*lovasz-softmax' --sampler equibatch --epochs 2 -o trained.safetensors
