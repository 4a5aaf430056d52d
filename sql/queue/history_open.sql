-- History open: a partition of part $1 of the history, for what ends from $2 to before $3; its name.
select sexton.open_history($1, $2, $3)
