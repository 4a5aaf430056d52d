-- Was the content with digest $1 ever a revision?
select exists (select from sexton.revision where digest = $1)
