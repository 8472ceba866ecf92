"""Pages, charts and pictures for people: the only place for matplotlib."""
