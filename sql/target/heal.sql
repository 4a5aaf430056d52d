-- Make the archive tables of data set $1 match main.
select sexton.heal($1)
