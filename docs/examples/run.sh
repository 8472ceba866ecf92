geoseg run recipe.toml --data . -o results
