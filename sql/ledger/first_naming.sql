-- First naming: the first revision after number $2 in whose schedule files the name $1 stands.
select id, digest, files, applied_at, applied_by
from sexton.revision
where id > $2
  and exists (
      select from jsonb_each_text(files) as file (path, text)
      where starts_with(file.path, 'schedules/') and strpos(file.text, $1) > 0)
order by id
limit 1
