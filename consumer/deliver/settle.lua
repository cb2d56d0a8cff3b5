-- Records the outcomes of jobs, unless another deliverer has recorded one
-- first.
--
-- KEYS  the claims of jobs (STRING)
-- ARGV  1: the claims' time to live in ms; then for each key the outcome, or, where
--       the answer is waited for, a claim whose lease is a length in ms from now
-- Returns for each key:
--   0     recorded
--   text  the outcome that was there, which stands
local answers = {}
for i, key in ipairs(KEYS) do
	local mine = ARGV[1 + i]
	local was = redis.pcall('GET', key)
	if type(was) == 'table' and not string.find(was.err, 'WRONGTYPE', 1, true) then return was end
	local state, attempt
	if type(was) == 'string' then state, attempt = string.match(was, '^(%a+)\t(%d+)') end
	local _, own = string.match(mine, '^(%a+)\t(%d+)')
	if state == 'final' or ((state == 'retry' or state == 'ambiguous') and tonumber(attempt) >= tonumber(own)) then
		answers[i] = was
	else
		local claimed, lease, owner = string.match(mine, '^(claimed\t%d+\t)(%d+)(\t.*)$')
		if claimed then
			local time = redis.call('TIME')
			mine = claimed .. string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + lease) .. owner
		end
		redis.call('SET', key, mine, 'PX', ARGV[1])
		answers[i] = 0
	end
end
return answers
