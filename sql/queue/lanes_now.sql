-- Lanes now: the time.
select now()
