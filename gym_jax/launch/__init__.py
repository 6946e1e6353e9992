"""Local processes that train one run: started, watched, ended together, started again. Nothing here loads JAX."""
