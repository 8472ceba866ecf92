geoseg demo
