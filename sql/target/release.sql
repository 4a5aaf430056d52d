-- Release rows $2 of data set $1 (its table).
delete from sexton.hold
where dataset = $1
  and name = any ($2::text[])
