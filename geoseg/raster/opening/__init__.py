"""Opening files of any kind and place: how, what they say of themselves, whom to trust."""
