-- How rows of table $2 become rows of data set $1, with the columns that $3 renames.
select sexton.migrate_plan($1, $2, $3)
