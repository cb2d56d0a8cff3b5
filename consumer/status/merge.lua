-- Merges states of events into their hashes, by the rules of State.Merge in
-- package topology.
--
-- KEYS     HASH of each event; on a cluster all of one slot
-- ARGV[1]  how long a hash is kept, in milliseconds
-- ARGV[2…] for each key in turn:
--            w, n      how many arguments follow of both sorts below, and of
--                      the first sort
--            lacking   digits: indexes in `optional` of what the winner lacks
--            names and values that the winner brings: rank, status,
--                      updated_at, then whatever else it has
--            names and values that are merged one by one: source, lane, type,
--                      channel, pending_at, pending_delivery_at, scheduled_at,
--                      in this order, those there are
-- Returns  1 for each event whose status changed, 0 for the others
--
-- `<` on strings follows the locale of the server. Ranks are digits and dots,
-- of one width, so any locale sorts them right; other texts need `less`.

local call, unpack, tonumber, byte = redis.call, unpack, tonumber, string.byte
local keys, argv = KEYS, ARGV
local ttl = tonumber(argv[1])

-- Where fields are in what `read` returns.
local RANK, SOURCE, LANE, TYPE, CHANNEL, SCHEDULED_AT = 1, 2, 3, 4, 5, 8
local places = {
  source = SOURCE, lane = LANE, type = TYPE, channel = CHANNEL,
  pending_at = 6, pending_delivery_at = 7, scheduled_at = SCHEDULED_AT,
}

local function read_by(how, key)
  return how('HMGET', key, 'rank', 'source', 'lane', 'type', 'channel',
    'pending_at', 'pending_delivery_at', 'scheduled_at')
end

-- What is no hash was not written by a status updater, the only writer of
-- these keys, and gives way: it would stop its partition for ever.
local function read(key)
  local old = read_by(redis.pcall, key)
  if not old.err then return old end
  if string.find(old.err, '^WRONGTYPE') then call('DEL', key) end
  return read_by(call, key)
end

-- Whether a is less than b, by bytes.
local function less(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- The number that a text says; none for what is absent, or no number.
local function number(text) return text and tonumber(text) end

local function expire(key, updated_at, scheduled_at)
  local from = math.max(number(updated_at) or 0, number(scheduled_at) or 0)
  call('PEXPIREAT', key, from + ttl)
end

-- What not every winner has.
local optional = { 'reason', 'detail', 'template', 'provider', 'provider_message_id', 'final_at' }

-- Names by digits, made once for each set.
local named = {}
local function names(digits)
  local list = named[digits]
  if not list then
    list = {}
    for digit in string.gmatch(digits, '%d') do list[#list + 1] = optional[tonumber(digit)] end
    named[digits] = list
  end
  return list
end

-- The digit of the status in a rank.
local function status(rank) return byte(rank, 13) end

-- Whether a value must replace the one that is stored in that place.
local function better(place, value, stored, ours)
  if place == SOURCE then return not stored or less(value, stored) end
  if place <= CHANNEL then return ours and (not stored or less(stored, value)) end
  local new, old = tonumber(value), number(stored)
  if not old then return true end
  if place == SCHEDULED_AT then return new > old end
  return new < old
end

-- Returns what to set if anything of argv[rest] to argv[stop - 1] is better than
-- what is stored: that, after what a winner brings. Brings `old` up to date.
local function compare(key, old, first, rest, stop, won)
  local set
  -- Whether lane, type and channel are of the copy that gives the identity.
  local ours = old[SOURCE] == (argv[rest] == 'source' and argv[rest + 1])
  for i = rest, stop - 1, 2 do
    local value, place = argv[i + 1], places[argv[i]]
    if value ~= old[place] and better(place, value, old[place], ours) then
      if place == SOURCE then
        ours = true
        call('HDEL', key, 'lane', 'type', 'channel')
        old[LANE], old[TYPE], old[CHANNEL] = false, false, false
      end
      old[place] = value
      set = set or won and { unpack(argv, first, rest - 1) } or {}
      set[#set + 1] = argv[i]
      set[#set + 1] = value
    end
  end
  return set
end

-- Merges argv[first] to argv[stop - 1], of which what is not the winner's
-- starts at rest, into what is stored. Reports whether the status changed.
local function merge(key, first, rest, stop, lacking)
  local old = read(key)
  local rank, old_rank = argv[first + 1], old[RANK]
  if not old_rank then
    call('HSET', key, unpack(argv, first, stop - 1))
    expire(key, argv[first + 5], argv[stop - 2] == 'scheduled_at' and argv[stop - 1])
    return true
  end
  local won, scheduled_at = rank > old_rank, old[SCHEDULED_AT]
  local set = compare(key, old, first, rest, stop, won)
  if set then
    call('HSET', key, unpack(set))
  elseif won then
    call('HSET', key, unpack(argv, first, rest - 1))
  end
  if won then
    if lacking ~= '' then call('HDEL', key, unpack(names(lacking))) end
    expire(key, argv[first + 5], old[SCHEDULED_AT])
  elseif old[SCHEDULED_AT] ~= scheduled_at then
    expire(key, call('HGET', key, 'updated_at'), old[SCHEDULED_AT])
  end
  return won and status(rank) ~= status(old_rank)
end

local changed = {}
local at = 2
for i = 1, #keys do
  local first = at + 3
  local rest, stop = first + argv[at], first + argv[at + 1]
  changed[i] = merge(keys[i], first, rest, stop, argv[at + 2]) and 1 or 0
  at = stop
end
return changed
