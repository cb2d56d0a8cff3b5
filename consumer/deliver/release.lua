-- Gives up claims of jobs for which nothing was begun. One of a job that another
-- owner may have sent, or that had an attempt before, stays, for whoever comes next to
-- take over.
--
-- KEYS  the claims of jobs (STRING)
-- ARGV  1: the owner
-- Returns for each key 1 if the owner had it, else 0.
local answers = {}
for i, key in ipairs(KEYS) do
	answers[i] = 0
	local was = redis.pcall('GET', key)
	if type(was) == 'string' then
		local attempt, holder, sent = string.match(was, '^claimed\t(%d+)\t%d+\t([^\t]+)(.*)$')
		if holder == ARGV[1] then
			answers[i] = 1
			if sent == '' and attempt == '1' then
				redis.call('DEL', key)
			else
				redis.call('SET', key, 'claimed\t' .. attempt .. '\t0\t' .. holder .. sent, 'KEEPTTL')
			end
		end
	end
end
return answers
