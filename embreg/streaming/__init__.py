"""What is behind `embreg.stream`: tables read block by block, and work that can be resumed."""
