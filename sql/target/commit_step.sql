-- Write down how far run $1 is, if token $2 is still its newest: cursor $3 and counts $4.
update sexton.step
set cursor = $3,
    counts = $4,
    at = clock_timestamp()
where run = $1
  and token = $2
