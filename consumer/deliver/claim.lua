-- Claims jobs, each for one owner and until its lease ends by this server's
-- clock, so that the clocks of deliverers do not matter.
--
-- KEYS  the claims of jobs (STRING)
-- ARGV  1: the owner; 2: the lease in ms; 3: the claims' time to live in ms;
--       then for each key the job's attempt
-- Returns for each key:
--   0     claimed
--   1     claimed; another owner's lease ended without an outcome
--   2     the key holds what is no claim
--   3     claimed; an earlier attempt of the same job may have been accepted
--   n<0   held by another owner, whose lease ends in -n ms
--   text  the job's outcome
--
-- A value is a line of fields with tabs between: "claimed", attempt, end of the
-- lease, owner, and "doubt" if another owner may have sent the job, or
-- "earlier" if an earlier attempt may; or an outcome: "final", "again" or
-- "doubt", attempt, and what settle.lua was given besides.
local owner, ttl = ARGV[1], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = string.format('%.0f', now + ARGV[2])

local function take(key, mine, doubt)
	if doubt ~= '' then mine = mine .. '\t' .. doubt end
	redis.call('SET', key, mine, 'PX', ttl)
	return doubt == '' and 0 or doubt == 'doubt' and 1 or 3
end

local function contest(key, mine, attempt, was)
	local state, last = string.match(was, '^(%a+)\t(%d+)')
	if state == 'claimed' then
		local leased, holder, doubt = string.match(was, '^%a+\t%d+\t(%d+)\t([^\t]+)\t?(.*)$')
		if holder == owner then return take(key, mine, doubt) end
		local left = (tonumber(leased) or 0) - now
		if left > 0 then return -left end
		return take(key, mine, tonumber(leased) == 0 and doubt or 'doubt') -- 0: released
	end
	if state == 'again' and tonumber(attempt) > tonumber(last) then return take(key, mine, '') end
	if state == 'doubt' and tonumber(attempt) > tonumber(last) then return take(key, mine, 'earlier') end
	if state == 'again' or state == 'doubt' or state == 'final' then return was end
	return 2
end

local answers = {}
for i, key in ipairs(KEYS) do
	local attempt = ARGV[3 + i]
	local mine = 'claimed\t' .. attempt .. '\t' .. ends .. '\t' .. owner
	local was = redis.pcall('SET', key, mine, 'PX', ttl, 'NX', 'GET')
	if not was then
		answers[i] = 0
	elseif type(was) == 'string' then
		answers[i] = contest(key, mine, attempt, was)
	elseif string.find(was.err, 'WRONGTYPE', 1, true) then
		answers[i] = 2
	else
		return was
	end
end
return answers
