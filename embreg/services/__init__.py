"""Behind `embreg.service` and ``TextEmbedder("service:…")``: embeddings that another program computes."""
