-- Lanes equip: worker $1 has the targets, vaults and labels $2.
update sexton.worker
set has = $2
where id = $1
  and has is distinct from $2
