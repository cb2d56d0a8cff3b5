-- Claims jobs, each for one owner and until its lease ends by this server's
-- clock, so that the clocks of deliverers do not matter.
--
-- KEYS  the claims of jobs (STRING)
-- ARGV  1: the owner; 2: the lease in ms; 3: the claims' time to live in ms;
--       then for each key the job's attempt
-- Returns for each key:
--   0     claimed
--   1     claimed; another owner's lease ended without an outcome, or what an earlier
--         attempt left here is lost
--   2     the key holds what is no claim
--   3     claimed; an earlier attempt of the same job may have been accepted
--   n<0   held by another owner, whose lease ends in -n ms
--   text  the job's outcome
--
-- A value is a line of fields with tabs between: "claimed", attempt, end of the
-- lease, owner, and "expired" if another owner, whose lease expired, may have
-- sent the job, or "earlier" if an earlier attempt may; or an outcome: "final",
-- "retry" or, where this attempt may have been accepted, "ambiguous", attempt,
-- and what settle.lua was given besides.
local owner, ttl = ARGV[1], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = string.format('%.0f', now + ARGV[2])

local function take(key, mine, sent)
	if sent ~= '' then mine = mine .. '\t' .. sent end
	redis.call('SET', key, mine, 'PX', ttl)
	return sent == '' and 0 or sent == 'expired' and 1 or 3
end

local function contest(key, mine, attempt, was)
	local state, last = string.match(was, '^(%a+)\t(%d+)')
	if state == 'claimed' then -- a lease that ends at 0 was released
		local leased, holder, sent = string.match(was, '^%a+\t%d+\t(%d+)\t([^\t]+)\t?(.*)$')
		if holder == owner then return take(key, mine, sent) end
		local left = (tonumber(leased) or 0) - now
		if left > 0 then return -left end
		return take(key, mine, tonumber(leased) == 0 and sent or 'expired')
	end
	if state == 'retry' and tonumber(attempt) > tonumber(last) then return take(key, mine, '') end
	if state == 'ambiguous' and tonumber(attempt) > tonumber(last) then return take(key, mine, 'earlier') end
	if state == 'retry' or state == 'ambiguous' or state == 'final' then return was end
	return 2
end

local answers = {}
for i, key in ipairs(KEYS) do
	local attempt = ARGV[3 + i]
	local mine = 'claimed\t' .. attempt .. '\t' .. ends .. '\t' .. owner
	local was = redis.pcall('SET', key, mine, 'PX', ttl, 'NX', 'GET')
	if not was then
		answers[i] = tonumber(attempt) > 1 and take(key, mine, 'expired') or 0
	elseif type(was) == 'string' then
		answers[i] = contest(key, mine, attempt, was)
	elseif string.find(was.err, 'WRONGTYPE', 1, true) then
		answers[i] = 2
	else
		return was
	end
end
return answers
