package redrive

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/tasks"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

// signing is one run of a command that is noted with who has it done, and why.
type signing struct {
	env     *command.Env
	by, why string
	paused  bool // of a resume: also what is paused
}

func (s *signing) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.by, "by", "", "who has it done; default: the user of this system")
	cmd.Flags().StringVar(&s.why, "why", "", "why, for people")
}

func (s *signing) sign() (err error) {
	s.by, err = command.Sign(s.by, "why", s.why)
	return err
}

// board is the tasks topic, to this process.
func (s *signing) board(ctx context.Context) (*tasks.Board, error) {
	follower, err := s.env.Tasks(ctx)
	if err != nil {
		return nil, err
	}
	to, err := s.env.Publisher(ctx)
	host, _ := os.Hostname()
	return &tasks.Board{Follower: follower, Topic: s.env.Config.Names().Tasks(), To: to, By: s.by,
		Actor: fmt.Sprintf("%s:%d:%s", host, os.Getpid(), strings.ToLower(rand.Text()[:6]))}, err
}

// NewTasks makes the command tasks.
func NewTasks(env *command.Env) *cobra.Command {
	cmd := command.Parent(&cobra.Command{
		Use:     "tasks",
		GroupID: command.GroupOperate,
		Short:   "Look after what dead-letters redrive, resend and uncovered heal have begun",
		Long: `Look after what dead-letters redrive, resend and uncovered heal have begun.

A task is done by the process that began it. Where that has died or was stopped, any
other process goes on with meddela tasks resume; with a task that is paused when it
says --paused. What was done with each task, by whom, when and why stays on the
topic tasks.`,
	})
	list := &cobra.Command{
		Use:     "list",
		Short:   "List all tasks, the latest last",
		Example: "  meddela tasks list\n  meddela tasks list -o json | jq '.tasks[] | select(.state == \"paused\")'",
	}
	list.RunE = env.Loaded(func(ctx context.Context, _ []string) error { return listTasks(ctx, env) })
	resume := newAboutTask(env, "resume", "Go on with a task in this process", "", (*signing).resume)
	resume.Long = `Go on with a task in this process: one whose process was stopped or has died, which
takes ten seconds to be sure of. A task that is over is no error, so that a
supervisor may repeat this until it succeeds:

  until meddela tasks resume ID; do sleep 5; done

What is paused, by somebody or because too much failed again, stays so until
somebody says --paused.`
	cmd.AddCommand(list, resume, newAboutTask(env, "show", "Show a task, and what was done with it", "", (*signing).show),
		newAboutTask(env, "pause", "Let a task wait until it is resumed", " --why 'peak hour'", saying(topology.TaskPause)),
		newAboutTask(env, "cancel", "Leave the rest of a task undone", " --why 'wrong one'", saying(topology.TaskCancel)))
	return cmd
}

type aboutTask func(s *signing, ctx context.Context, board *tasks.Board, id string) error

func newAboutTask(env *command.Env, use, short, why string, do aboutTask) *cobra.Command {
	s := &signing{env: env}
	cmd := &cobra.Command{
		Use:     use + " ID",
		Short:   short,
		Example: "  meddela tasks " + use + " 20261128-103000-ab12" + why,
		Args:    command.Arguments(1, 1, "the id of a task"),
		RunE: env.Loaded(func(ctx context.Context, args []string) error {
			if err := s.sign(); err != nil {
				return err
			}
			board, err := s.board(ctx)
			if err != nil {
				return err
			}
			if _, known := board.Snapshot().Get(args[0]); !known {
				return fmt.Errorf("there is no task %q: see meddela tasks list", args[0])
			}
			return do(s, ctx, board, args[0])
		}),
	}
	switch use {
	case "resume":
		cmd.Flags().BoolVar(&s.paused, "paused", false, "also a task that is paused")
		fallthrough
	case "pause", "cancel":
		s.addFlags(cmd)
	}
	return cmd
}

func (s *signing) resume(ctx context.Context, board *tasks.Board, id string) error {
	t, err := board.Take(ctx, id, s.why, s.paused)
	if err != nil {
		return err
	}
	if !t.Over() {
		engine, err := (&starting{signing: *s}).engine(ctx)
		if err != nil {
			return err
		}
		t, err = s.do(ctx, engine, board, t)
		if err != nil || s.env.Output != command.JSON {
			return err
		}
	}
	return s.env.Print(t, "task %s is %s: %s\n", t.ID, t.State, countsText(t.Counts))
}

func saying(action topology.TaskAction) aboutTask {
	return func(s *signing, ctx context.Context, board *tasks.Board, id string) error {
		t, err := board.Do(ctx, topology.TaskRecord{Task: id, Action: action, Why: s.why})
		if err == nil && t.Last().Actor != board.Actor {
			err = fmt.Errorf("task %s is %s already", id, t.State)
		}
		if err != nil {
			return err
		}
		return s.env.Print(t, "task %s is %s: %s\n", id, t.State, countsText(t.Counts))
	}
}

func listTasks(ctx context.Context, env *command.Env) error {
	follower, err := env.Tasks(ctx)
	if err != nil {
		return err
	}
	t := command.NewTable("task", "state", "lane", "kind", "published", "of", "by", "why", "last word")
	all := follower.Snapshot().All()
	for i := range all {
		task := &all[i]
		first := task.Log[0]
		state := string(task.State)
		if task.Unattended {
			state += ", unattended"
		} else if task.Held != "" {
			state += ", held"
		}
		t.AppendRow([]any{task.ID, state, task.Spec.Lane, task.Spec.Kind, task.Counts[tasks.Published], task.Spec.Count,
			first.By, cmp.Or(first.Why, "-"), wording.Moment(task.At)})
	}
	return env.PrintEither(map[string]any{"tasks": all}, t)
}

func (s *signing) show(_ context.Context, board *tasks.Board, id string) error {
	task, _ := board.Snapshot().Get(id)
	if s.env.Output == command.JSON {
		return s.env.PrintJSON(task)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "task %s is %s\n  %s of lane %s, %d expected, at most %g/s: %+v\n  %s, at %s by %s\n", id, task.State,
		task.Spec.Kind, task.Spec.Lane, task.Spec.Count, task.Spec.Rate, task.Spec.Filter, countsText(task.Counts),
		wording.Moment(task.At), task.Actor)
	if task.Unattended {
		fmt.Fprintf(&b, "  unattended: nobody has said a word of it for %s: meddela tasks resume %s goes on\n",
			tasks.Lease, id)
	} else if task.Held != "" {
		fmt.Fprintf(&b, "  held: %s\n", task.Held)
	}
	for r := range slices.Values(task.Log) {
		fmt.Fprintf(&b, "  %s  %-7s by %s  %s\n", wording.Moment(r.At), r.Action, r.By, r.Why)
	}
	return s.env.Printf("%s", b.String())
}
