-- One step of order $2 on data set $1 with cutoff $3: after $4, up to $5 parent rows.
select sexton.step($1, $2, $3, $4, $5)
