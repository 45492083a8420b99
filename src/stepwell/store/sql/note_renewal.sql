-- Note that the tokens of a connection that is still as it was read ($2) are about to be renewed: committed before the vendor is
-- asked, so that a lost answer is known as such. The time of the first try since tokens were stored stays. Locks: connection.
update stepwell.connection set renewing_at = coalesce(renewing_at, now()) where name = $1::text and revision = $2::int8
