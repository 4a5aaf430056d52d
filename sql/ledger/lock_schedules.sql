-- Wait until nobody decides slots of schedule $1 (or of any, without a name), and keep it so until the transaction ends.
select name from sexton.schedule where $1::text is null or name = $1 order by name for update
