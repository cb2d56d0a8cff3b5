package settings

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/providerfile"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

// NewProviders makes the command providers.
func NewProviders(env *command.Env) *cobra.Command {
	cmd := command.Parent(&cobra.Command{
		Use:     "providers",
		GroupID: command.GroupOperate,
		Short:   "Say who messages are handed to",
		Long: `Say who messages are handed to, by channel, as the providers' file has it, which
MEDDELA_PROVIDERS_FILE names, and the mail server of MEDDELA_SMTP_URL.`,
	})
	cmd.AddCommand(newProvidersCheckCommand(env))
	return cmd
}

func newProvidersCheckCommand(env *command.Env) *cobra.Command {
	var connect bool
	var only, to string
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a providers' file, and show what it comes to",
		Long: `Check a providers' file, and show what it comes to: the one of
MEDDELA_PROVIDERS_FILE, and MEDDELA_SMTP_URL, unless another is named.

It is read as role deliver reads it, so secrets must be where the file says that
they are. They are not shown. Nobody is connected to and nothing is sent, but with
--connect, which has each provider let us in, and with --send-to, which sends one
test message. A message's reference is not in it, so that there is no receipt.`,
		Example: "  meddela providers check\n  meddela providers check docs/providers/email.yaml -o json\n" +
			"  meddela providers check --connect\n  meddela providers check --provider mail-1 --send-to kim@example.com",
		Args: command.Arguments(0, 1, "at most one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			read, err := providersOf(env, cmd, args)
			if err != nil {
				return err
			}
			file, err := read.Providers() // as role deliver does
			if err != nil {
				return err
			}
			if connect || to != "" {
				return try(cmd.Context(), env, file, only, to)
			}
			return printProviders(env, providersViewOf(cmp.Or(read.File, "MEDDELA_SMTP_URL"), file))
		},
	}
	cmd.Flags().BoolVar(&connect, "connect", false, "connect and log in to each provider; no message is sent")
	cmd.Flags().StringVar(&only, "provider", "", "the one to try")
	cmd.Flags().StringVar(&to, "send-to", "", "send a test message to this address, or whatever the channel has")
	cmd.MarkFlagsMutuallyExclusive("connect", "send-to")
	return cmd
}

// providersOf says where the providers are that a command is about. A file that is
// named needs no configuration.
func providersOf(env *command.Env, cmd *cobra.Command, args []string) (*config.DeliverSettings, error) {
	if len(args) > 0 {
		return &config.DeliverSettings{File: args[0]}, nil
	}
	if err := env.Load(cmd); err != nil {
		return nil, err
	}
	if env.Config.Deliver.File == "" && env.Config.Deliver.SMTPURL == "" {
		return nil, command.Misusef("there is no provider to check: name a file, " +
			"or set MEDDELA_PROVIDERS_FILE or MEDDELA_SMTP_URL")
	}
	return &env.Config.Deliver, nil
}

// providersView is what `meddela providers check` shows. It has no secrets.
type providersView struct {
	File      string         `json:"file"`
	Providers []providerView `json:"providers"`
	Routes    []routeView    `json:"routes"`
	Warnings  []string       `json:"warnings"`
}

type providerView struct {
	Name     string             `json:"name"`
	Kind     providerfile.Kind  `json:"kind"`
	Channels []topology.Channel `json:"channels"`
	Target   string             `json:"target,omitempty"`
	Login    string             `json:"login,omitempty"`
	Signed   bool               `json:"signed,omitempty"`
	// Timeout and Concurrency are empty for the kind's own.
	Timeout     string `json:"timeout,omitempty"`
	Concurrency int    `json:"concurrency,omitempty"`
	providerfile.Limit
}

type routeView struct {
	Channel topology.Channel `json:"channel"`
	providerfile.Route
}

func providersViewOf(path string, file *providerfile.File) *providersView {
	view := &providersView{File: path, Providers: []providerView{}, Routes: []routeView{}, Warnings: []string{}}
	for i := range file.Providers {
		view.Providers = append(view.Providers, providerViewOf(&file.Providers[i]))
	}
	for _, channel := range topology.Channels() {
		route, ok := file.Routes[channel]
		if !ok {
			continue
		}
		view.Routes = append(view.Routes, routeView{channel, route})
		for _, p := range view.Providers {
			named := slices.ContainsFunc(route.Members, func(m providerfile.RouteMember) bool { return m.Provider == p.Name })
			if slices.Contains(p.Channels, channel) && !named {
				view.Warnings = append(view.Warnings,
					fmt.Sprintf("%s gets nothing of channel %s: its route does not name it", p.Name, channel))
			}
		}
	}
	return view
}

func providerViewOf(d *providerfile.Definition) providerView {
	v := providerView{
		Name: d.Name, Kind: d.Kind, Channels: d.Channels, Concurrency: d.Concurrency, Limit: d.Limit,
	}
	if d.Timeout > 0 {
		v.Timeout = d.Timeout.String()
	}
	switch d.Kind {
	case providerfile.SMTP:
		v.Target = d.SMTP.Addr()
		v.Signed = d.SMTP.DKIM.Domain != ""
	case providerfile.HTTP:
		v.Target = d.HTTP.Method + " " + cmp.Or(origin.FindString(d.HTTP.URL), "the template's url")
		v.Signed = len(d.HTTP.Sign) > 0
	}
	login := cmp.Or(d.SMTP.Username, d.HTTP.Auth.Header, d.HTTP.Auth.Username)
	if d.HTTP.Auth.Bearer != nil {
		login = "bearer"
	}
	if d.HTTP.Auth.Token != nil {
		login = d.HTTP.Auth.Token.String()
	}
	if login != "" {
		v.Login = login + " " + config.Mask
	}
	return v
}

// origin is a URL without its path and query, which may have a token.
var origin = regexp.MustCompile(`^[a-z]+://[^/?#]*`)

func printProviders(env *command.Env, view *providersView) error {
	if env.Output == command.JSON {
		return env.PrintJSON(view)
	}
	providers := command.NewTable("provider", "kind", "channels", "hands to", "login", "signed", "timeout", "at once",
		"limit of all")
	for i := range view.Providers {
		providers.AppendRow(view.Providers[i].row())
	}
	routes := command.NewTable("channel", "order", "providers")
	for _, r := range view.Routes {
		routes.AppendRow(table.Row{r.Channel, r.Order, r.Names()})
	}
	if err := errors.Join(env.PrintTable(providers), env.Printf("\n"), env.PrintTable(routes)); err != nil {
		return err
	}
	var b strings.Builder
	for _, warning := range view.Warnings {
		fmt.Fprintf(&b, "%s: %s\n", env.Paint(text.FgYellow, "warning"), warning)
	}
	return env.Printf("\n%s%s: %s for %s, no faults, %s\n", b.String(), view.File,
		wording.Count(len(view.Providers), "provider", "providers"),
		wording.Count(len(view.Routes), "channel", "channels"), wording.Count(len(view.Warnings), "warning", "warnings"))
}

func (v *providerView) row() table.Row {
	const none, usual = "–", "default"
	signed, atOnce := "no", usual
	if v.Signed {
		signed = "yes"
	}
	if v.Concurrency > 0 {
		atOnce = fmt.Sprint(v.Concurrency)
	}
	return table.Row{
		v.Name, v.Kind, strings.Join(wording.Texts(v.Channels), ", "), cmp.Or(v.Target, none), cmp.Or(v.Login, none), signed,
		cmp.Or(v.Timeout, usual), atOnce, cmp.Or(v.limit(), none),
	}
}

// limit is such as "200/s, 64 at once, 30% for realtime".
func (v *providerView) limit() string {
	var parts []string
	if v.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%g/s", v.Rate))
	}
	if v.AtOnce > 0 {
		parts = append(parts, fmt.Sprintf("%d at once", v.AtOnce))
	}
	if v.Reserve > 0 {
		parts = append(parts, fmt.Sprintf("%.3g%% for %s", v.Reserve*100, topology.Realtime))
	}
	return strings.Join(parts, ", ")
}
