"""From finished runs to answers: verdicts, the papers' claims, and figures reported elsewhere."""
