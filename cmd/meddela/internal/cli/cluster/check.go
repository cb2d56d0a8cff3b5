package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/connect"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/lag"
	"github.com/meddela/meddela/consumer/position"
	"github.com/meddela/meddela/producer/provision"
	"github.com/meddela/meddela/topology"
)

// errNotWell is the error of a check that has said what is wrong.
var errNotWell = errors.New("not everything is as it must be: see above")

// NewCheck makes the command check.
func NewCheck(env *command.Env) *cobra.Command {
	var users []topology.User
	lanes := topology.Lanes()
	cmd := &cobra.Command{
		Use:     "check",
		GroupID: command.GroupOperate,
		Short:   "Look whether everything is there that messages need",
		Long: `Look whether everything is there that messages need: the settings, Kafka and its
topics, Redis, templates, and a process of every role. Nothing is changed. The
exit code is 0 only if all is well; that there are no templates yet, or that a role
does not run, is told, and is no fault.

With --user it looks whether the users that are logged in as have the rights of that
role, or of upstream, engine, reader, monitor or operator, and names those that are missing.`,
		Example: "  meddela check\n  meddela check -o json\n  meddela check --user match --lane realtime",
		RunE: env.Loaded(func(ctx context.Context, _ []string) error {
			if len(users) > 0 {
				return printFindings(env, inspectRights(ctx, env, users, lanes))
			}
			return printFindings(env, inspect(ctx, env, lanes))
		}),
	}
	command.WordsFlag(cmd, &users, "user", topology.Users(), "look only at the rights that these need")
	command.WordsFlag(cmd, &lanes, "lane", topology.Lanes(), "on these lanes: with --user, or where each has a Redis of its own")
	return cmd
}

// inspectRights says which rights our users of Kafka and Redis lack for what some do.
func inspectRights(ctx context.Context, env *command.Env, users []topology.User,
	lanes []topology.Lane) (findings []finding) {
	ctx, cancel := context.WithTimeout(ctx, command.ApplyTimeout)
	defer cancel()
	note := func(what string, missing []string, err error) {
		f := finding{What: what, Well: err == nil && len(missing) == 0, Detail: "all are there"}
		if err != nil {
			f.Detail = err.Error()
		} else if len(missing) > 0 {
			f.Detail = "missing: " + strings.Join(missing, ", ")
		}
		findings = append(findings, f)
	}
	connection, err := env.Kafka(ctx)
	for _, user := range users {
		var rights []topology.Right
		for _, lane := range lanes {
			rights = append(rights, env.Config.Names().Rights(user, lane)...)
		}
		if len(rights) > 0 {
			var missing []string
			if err == nil {
				missing, err = connect.MissingInKafka(ctx, connection, rights)
			}
			note("rights of "+string(user)+" on Kafka", missing, err)
		}
		if rights := env.Config.Keys().Rights(user); len(rights.Keys) > 0 {
			client, err := env.Redis(ctx)
			var missing []string
			if err == nil {
				missing = connect.MissingInRedis(ctx, client, rights)
			}
			note("rights of "+string(user)+" on Redis", missing, err)
		}
	}
	return findings
}

// finding is what was looked at, and how it was found.
type finding struct {
	What   string `json:"what"`
	Well   bool   `json:"well"`
	Detail string `json:"detail"`
}

// inspect looks at one thing after the other; without Kafka at what needs none.
func inspect(ctx context.Context, env *command.Env, lanes []topology.Lane) (findings []finding) {
	ctx, cancel := context.WithTimeout(ctx, command.ApplyTimeout)
	defer cancel()
	note := func(what, detail string, err error) bool {
		f := finding{What: what, Well: err == nil, Detail: detail}
		if err != nil {
			f.Detail = err.Error()
		}
		findings = append(findings, f)
		return f.Well
	}
	client, err := env.Redis(ctx)
	if err == nil { // of which a server may tell nothing
		if _, policy, _ := connect.Eviction(ctx, client); policy != "" {
			err = fmt.Errorf("its maxmemory_policy is %s: set it to noeviction, or claims and statuses get lost", policy)
		}
	}
	reached := note("Redis", strings.Join(env.Config.Redis.Addrs, ","), err)
	if d := &env.Config.Deliver; d.File != "" || d.SMTPURL.Reveal() != "" || len(d.Sandbox) > 0 {
		providers, err := inspectProviders(d)
		note("providers", providers, err)
	}
	if reached {
		all, told := env.Troubles(ctx, lanes...)
		var open error
		if slices.ContainsFunc(all, func(t topology.Trouble) bool { return t.Open }) {
			open = errors.New(told)
		}
		note("circuits", cmp.Or(told, "none is known to be open"), open)
	}
	_, err = env.Kafka(ctx)
	if !note("Kafka", strings.Join(env.Config.Kafka.Brokers, ","), err) {
		return findings
	}
	detail, err := inspectTopics(ctx, env)
	if !note("topics", detail, err) {
		return findings
	}
	note("claims", "they outlive what the topics keep", inspectClaims(ctx, env))
	detail, err = inspectTemplates(ctx, env)
	note("templates", detail, err)
	if reached {
		detail, err = inspectSuppressions(ctx, env, client)
		note("suppressions", detail, err)
	}
	gauge := lag.Gauge{Lanes: topology.Lanes(), Roles: topology.Roles(), Channels: topology.Channels()}
	var report *lag.Report
	if err = gaugeOf(ctx, env, &gauge); err == nil {
		report, err = gauge.Measure(ctx)
	}
	if err == nil {
		detail, err = inspectRoles(report)
	}
	if note("roles", detail, err) && reached {
		note("data in Redis", "all is there that roles have written", inspectWritten(ctx, env, client, report, lanes))
	}
	return findings
}

// inspectWritten says whether Redis has what the roles that write to it have handled.
func inspectWritten(ctx context.Context, env *command.Env, client redis.UniversalClient, report *lag.Report,
	lanes []topology.Lane) error {
	for i := range report.Groups {
		g := &report.Groups[i]
		if g.Role != topology.RoleStatus && g.Role != topology.RoleDeliver || !slices.Contains(lanes, g.Lane) {
			continue
		}
		positions := position.Positions{Client: client, Keys: env.Config.Keys(), Group: g.Name}
		missing, err := positions.Missing(ctx, g.Committed())
		switch {
		case err != nil:
			return err
		case missing > 0:
			return fmt.Errorf("what %d records of group %s came to is missing: Redis has lost data, or MEDDELA_REDIS_DB or "+
				"MEDDELA_KEY_PREFIX is another than before; role status writes statuses again: docs/operations.md, Redis",
				missing, g.Name)
		}
	}
	return nil
}

// inspectProviders says who the messages of each channel are handed to, as far as
// the settings that check was started with have it.
func inspectProviders(settings *config.DeliverSettings) (string, error) {
	file, err := settings.Providers()
	if err != nil {
		return "", err
	}
	var ways, none []string
	for _, channel := range topology.Channels() {
		route, ok := file.Routes[channel]
		switch {
		case settings.Sandboxed(channel):
			ways = append(ways, string(channel)+": the sandbox, which sends nothing")
		case ok:
			ways = append(ways, string(channel)+": "+route.Names())
		default:
			none = append(none, string(channel))
		}
	}
	if len(none) > 0 {
		ways = append(ways, "none of "+strings.Join(none, ", ")+
			" among the settings here: role deliver would not start for them")
	}
	return strings.Join(ways, "; "), nil
}

func inspectTopics(ctx context.Context, env *command.Env) (string, error) {
	client, err := env.Client(ctx)
	if err != nil {
		return "", err
	}
	plan, err := planTopics(ctx, env, client)
	switch {
	case err != nil:
		return "", err
	case len(plan.Create) > 0:
		return "", fmt.Errorf("%d are missing, such as %s: run `meddela topics apply`", len(plan.Create), plan.Create[0].Name)
	case slices.ContainsFunc(plan.Drift, isSmall):
		d := plan.Drift[slices.IndexFunc(plan.Drift, isSmall)]
		return "", fmt.Errorf("%s takes records of %s bytes at most: %s", d.Topic, d.Have, driftAdvice(d))
	case len(plan.Drift) > 0:
		return fmt.Sprintf("all %d are there; %d differ from what was configured: see `meddela topics apply --dry-run`",
			len(plan.Ready)+len(plan.Drift), len(plan.Drift)), nil
	}
	return fmt.Sprintf("all %d are there", len(plan.Ready)), nil
}

// inspectClaims says whether a job's outcome is known for longer than the job can be read again.
func inspectClaims(ctx context.Context, env *command.Env) error {
	client, err := env.Client(ctx)
	if err != nil {
		return err
	}
	var topics []topology.Topic
	for _, lane := range topology.Lanes() {
		topics = append(topics, env.Config.Names().Reads(topology.RoleMatch, lane)...)
		topics = append(topics, env.Config.Names().Jobs(lane))
	}
	existing, err := provision.Survey(ctx, client, topics)
	for _, topic := range topics {
		settings, ttl := existing[topic].Config, env.Config.Claim.TTL
		retention, _ := strconv.ParseInt(settings["retention.ms"], 10, 64) // 0 where it is not told
		segment, _ := strconv.ParseInt(settings["segment.ms"], 10, 64)
		if retention < 0 || retention > 0 && retention > ttl.Milliseconds()-segment {
			return fmt.Errorf("MEDDELA_CLAIM_TTL is %s, and %s keeps records for retention.ms=%d and segment.ms=%d more: what is "+
				"read or published again after the first may be sent twice; set it to more than those together", ttl, topic, retention,
				segment)
		}
	}
	return err
}

func isSmall(d provision.Drift) bool { return d.Kind == provision.SmallMessages }

func inspectTemplates(ctx context.Context, env *command.Env) (string, error) {
	follower, err := env.Templates(ctx)
	if err != nil {
		return "", err
	}
	live := 0
	for range follower.Snapshot().AllLive() {
		live++
	}
	if live == 0 {
		return "there are none yet, so no event is covered: run `meddela templates publish FOLDER`", nil
	}
	return fmt.Sprintf("%d are in force", live), nil
}

// inspectSuppressions says whether it is known who is suppressed. Without a pepper it
// cannot know for the deliverers, which have one.
func inspectSuppressions(ctx context.Context, env *command.Env, client redis.UniversalClient) (string, error) {
	kafka, err := env.Kafka(ctx)
	if err != nil {
		return "", err
	}
	copy, _, stop := connect.Suppressions(ctx, &env.Config, kafka, client, env.Log)
	defer stop()
	behind, end, err := copy.Behind(ctx)
	switch {
	case errors.Is(err, suppress.ErrNoPepper):
		return "there are some; MEDDELA_SUPPRESS_PEPPER is not set here, so no more is looked at", nil
	case err != nil:
		return "", err
	case behind > 0:
		return "", fmt.Errorf("the copy of the topic in Redis is %d records behind, so that nothing is sent: "+
			"if no deliverer makes it anew, run `meddela suppressions list`", behind)
	case end == 0:
		return "there are none", nil
	}
	return "Redis's copy of the topic is complete", nil
}

// inspectRoles says which roles have no process. One error stands for all groups
// that cannot be measured: mostly they have the same cause.
func inspectRoles(report *lag.Report) (string, error) {
	idle, running := make(map[topology.Lane][]string), make(map[topology.Lane]bool)
	var faults []error
	for i := range report.Groups {
		g := &report.Groups[i]
		if g.Err != nil {
			faults = append(faults, g.Err)
		} else if g.Members == 0 {
			idle[g.Lane] = append(idle[g.Lane], strings.TrimSpace(string(g.Lane)+" "+string(g.Role)+" "+string(g.Channel)))
		} else {
			running[g.Lane] = true
		}
	}
	switch {
	case len(faults) > 1:
		return "", fmt.Errorf("of %d groups it cannot be said: %w", len(faults), faults[0])
	case len(faults) == 1:
		return "", faults[0]
	case len(idle) == 0:
		return "every role runs", nil
	}
	var said []string
	for _, lane := range topology.Lanes() {
		switch {
		case !running[lane] && len(idle[lane]) > 0:
			said = append(said, "lane "+string(lane)+" is not run")
		case len(idle[lane]) > 0:
			said = append(said, "no process of "+strings.Join(idle[lane], ", "))
		}
	}
	return strings.Join(said, "; "), nil
}

func printFindings(env *command.Env, findings []finding) (wrong error) {
	t := command.NewTable()
	for _, f := range findings {
		mark := env.Paint(text.FgGreen, "well")
		if !f.Well {
			mark, wrong = env.Paint(text.FgRed, "WRONG"), errNotWell
		}
		t.AppendRow(table.Row{f.What, command.Painted(mark), f.Detail})
	}
	return errors.Join(env.PrintEither(findings, t), wrong)
}
