"""What a person sees of a study: words, figures, and the page."""
