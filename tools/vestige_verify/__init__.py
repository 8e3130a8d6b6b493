"""A second, independent reader of everything that Vestige keeps, written from docs/formats alone.

  reader     bounds-checked bytes; Damage, the one exception that a wrong byte raises
  canonical  RFC 8785
  merkle     RFC 6962
  note       signed notes, checkpoints, proofs (C2SP)
  cipher     AES-GCM, HKDF, zstd frames, wrapped keys
  vault      top, pages, erasure journal; gives the keys
  catalogue  manifest, signer state, API keys
  entry      one sealed entry and its sealed sections
  wal        the write-ahead log
  segment    containers, pages, hash files, id runs
  stream     one log: its segments, its tail, its tree and its checkpoint
  directory  all of it in order, and the files that belong to nothing
  erasure, disclosure, export, coverage
             files that the server hands out
  command    the command line
"""
