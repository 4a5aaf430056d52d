-- History close: partition $2 of part $1 of the history goes, but for runs $3.
select sexton.close_history($1, $2, $3)
