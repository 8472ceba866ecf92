geoseg info scene.tif model.safetensors
