package scenario

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/topology"
)

// operations are Kafka's numbers.
var operations = map[topology.Operation]kmsg.ACLOperation{
	topology.OpRead: kmsg.ACLOperationRead, topology.OpWrite: kmsg.ACLOperationWrite,
	topology.OpCreate: kmsg.ACLOperationCreate, topology.OpDescribe: kmsg.ACLOperationDescribe,
	topology.OpDescribeConfigs: kmsg.ACLOperationDescribeConfigs,
}

// secured is a site whose servers want encryption, logins and rights. Whoever comes
// in the clear may do everything.
type secured struct {
	*site
	store  *redis.Client
	folder string // of our certificates
}

const password = "hunter2"

// newSecured returns nil where there are no such servers.
func newSecured(t *testing.T) *secured {
	certificates := os.Getenv("MEDDELA_TEST_CERTIFICATES")
	if certificates == "" || real == nil {
		return nil
	}
	s := &secured{site: newSite(t, real), folder: t.TempDir()}
	s.store = redis.NewClient(&redis.Options{Addr: real.redis})
	t.Cleanup(func() { _ = s.store.Close() })
	for _, name := range []string{"ca.crt", "client.crt", "client.key"} {
		s.copy(filepath.Join(certificates, name), filepath.Join(s.folder, name))
	}
	s.copy("/dev/null", s.file("password"))
	if err := os.WriteFile(s.file("password"), []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *secured) file(name string) string { return filepath.Join(s.folder, name) }

func (s *secured) copy(from, to string) {
	s.t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// name is that of a user in Kafka and Redis.
func (s *secured) name(u topology.User) string { return s.topics.Prefix + string(u) }

// as are the settings of who logs in as a user.
func (s *secured) as(u topology.User) []string {
	settings := []string{
		"MEDDELA_KAFKA_BROKERS=" + os.Getenv("MEDDELA_TEST_SECURE_KAFKA"),
		"MEDDELA_REDIS_ADDRS=" + os.Getenv("MEDDELA_TEST_SECURE_REDIS"),
		"MEDDELA_KAFKA_SASL_MECHANISM=scram-sha-512", "MEDDELA_KAFKA_SASL_USERNAME=" + s.name(u),
		"MEDDELA_KAFKA_SASL_PASSWORD_FILE=" + s.file("password"),
		"MEDDELA_REDIS_USERNAME=" + s.name(u), "MEDDELA_REDIS_PASSWORD_FILE=" + s.file("password"),
	}
	for _, server := range []string{"KAFKA", "REDIS"} {
		settings = append(settings, "MEDDELA_"+server+"_TLS=true", "MEDDELA_"+server+"_TLS_CA_FILE="+s.file("ca.crt"),
			"MEDDELA_"+server+"_TLS_CERT_FILE="+s.file("client.crt"), "MEDDELA_"+server+"_TLS_KEY_FILE="+s.file("client.key"))
	}
	return settings
}

// runAs runs a command with a user's login.
func (s *secured) runAs(u topology.User, args ...string) (string, error) {
	command := exec.Command(binary, args...)
	command.Env = append(s.environment(), s.as(u)...)
	out, err := command.CombinedOutput()
	return string(out), err
}

func (s *secured) mustRunAs(u topology.User, args ...string) {
	s.t.Helper()
	if out, err := s.runAs(u, args...); err != nil {
		s.t.Errorf("%s: meddela %s: %v\n%s", u, strings.Join(args, " "), err, out)
	}
}

// add makes a user with exactly the rights of the table.
func (s *secured) add(u topology.User, lane topology.Lane) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), askTimeout)
	defer cancel()
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	salted, err := pbkdf2.Key(sha512.New, password, salt, 4096, sha512.Size)
	if err != nil {
		s.t.Fatal(err)
	}
	login := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	login.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{
		{Name: s.name(u), Mechanism: 2, Iterations: 4096, Salt: salt, SaltedPassword: salted}}
	if answer, err := login.RequestWith(ctx, s.cluster.client); err != nil || answer.Results[0].ErrorCode != 0 {
		s.t.Fatalf("user %s: %v %+v", u, err, answer)
	}
	for _, right := range s.topics.Rights(u, lane) {
		s.allow(u, right, true)
	}
	s.allowRedis(u, s.redisKeys.Rights(u))
}

// allow gives a right, or takes it back.
func (s *secured) allow(u topology.User, right topology.Right, given bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), askTimeout)
	defer cancel()
	kind, name := kmsg.ACLResourceTypeTopic, string(right.Topic)
	if right.Group != "" {
		kind, name = kmsg.ACLResourceTypeGroup, right.Group
	}
	principal, host := "User:"+s.name(u), "*"
	var err error
	if given {
		request := kmsg.NewPtrCreateACLsRequest()
		request.Creations = []kmsg.CreateACLsRequestCreation{{ResourceType: kind, ResourceName: name,
			ResourcePatternType: kmsg.ACLResourcePatternTypeLiteral, Principal: principal, Host: host,
			Operation: operations[right.Operation], PermissionType: kmsg.ACLPermissionTypeAllow}}
		var answer *kmsg.CreateACLsResponse
		if answer, err = request.RequestWith(ctx, s.cluster.client); err == nil {
			err = kerr.ErrorForCode(answer.Results[0].ErrorCode)
		}
	} else {
		request := kmsg.NewPtrDeleteACLsRequest()
		request.Filters = []kmsg.DeleteACLsRequestFilter{{ResourceType: kind, ResourceName: &name,
			ResourcePatternType: kmsg.ACLResourcePatternTypeLiteral, Principal: &principal, Host: &host,
			Operation: operations[right.Operation], PermissionType: kmsg.ACLPermissionTypeAllow}}
		_, err = request.RequestWith(ctx, s.cluster.client)
	}
	if err != nil {
		s.t.Fatalf("%s of %s: %v", right, u, err)
	}
}

func (s *secured) allowRedis(u topology.User, rights topology.RedisRights) {
	s.t.Helper()
	rule := []any{"acl", "setuser", s.name(u), "reset", "on", ">" + password, "+@connection"}
	for _, key := range rights.Keys {
		rule = append(rule, "~"+key)
	}
	for _, channel := range rights.Channels {
		rule = append(rule, "&"+channel)
	}
	for _, command := range rights.Commands {
		rule = append(rule, "+"+strings.Fields(command)[0])
	}
	if err := s.store.Do(s.t.Context(), rule...).Err(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.store.Do(context.Background(), "acl", "deluser", s.name(u)) })
}

// TestRights: with exactly the rights of the table every role does its work, through the ends of its sessions and
// with certificates replaced meanwhile; what is missing is named, and what is beyond is refused.
func TestRights(t *testing.T) {
	s := newSecured(t)
	if s == nil {
		t.Skip("needs servers brought up with SECURE=1")
	}
	const lane = topology.Realtime
	for _, user := range topology.Users() {
		s.add(user, lane)
	}
	told, port, notices := s.file("told.jsonl"), freePort(t), s.file("notices.yaml")
	config := fmt.Sprintf("webhooks:\n  - {name: crm, url: \"http://127.0.0.1:%d/\", types: [order_confirmation], "+
		"secrets: [{env: NOTICES_SECRET}], allow_private: true}\n", port)
	if err := os.WriteFile(notices, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	general := []string{"MEDDELA_CAP_SMS=2/1h", "MEDDELA_SUPPRESS_PEPPER=the-pepper-of-a-test-with-32-bytes",
		"MEDDELA_NOTICES_FILE=" + notices, "NOTICES_SECRET=" + receiverSecret, "MEDDELA_STATUS_PUBSUB=true"}
	for _, role := range append(topology.Roles(), topology.RoleNotify) {
		s.settings = append(slices.Clone(general), s.as(topology.User(role))...)
		s.start(role, lane)
	}
	for _, other := range topology.Lanes()[1:] { // the auditor is of both
		for _, right := range s.topics.Rights(topology.User(topology.RoleAudit), other) {
			s.allow(topology.User(topology.RoleAudit), right, true)
		}
	}
	s.settings = append(slices.Clone(general), s.as(topology.User(topology.RoleAudit))...)
	auditor := s.auditor()
	s.settings = general
	s.awaitGroups(lane)
	defer startReceiver(t, port, told)()

	for _, user := range topology.Users() {
		s.mustRunAs(user, "check", "--user", string(user), "--lane", string(lane))
	}
	s.mustRunAs(topology.UserOperator, "topics", "apply", "--dry-run")
	samples := filepath.Join(root, "cmd", "meddela", "samples", "templates")
	s.mustRunAs(topology.UserOperator, "templates", "publish", samples)
	s.mustRunAs(topology.UserOperator, "suppressions", "add", "kim@left."+recipientDomain)
	s.mustRunAs(topology.UserMonitor, "lag", "--lane", string(lane))

	// Each way through the topics: at once, later, paused, tried again, dead, and told.
	want := map[string]string{"left": "ignored/suppressed"}
	publish := func(r record, outcome string) {
		t.Helper()
		want[r.key] = outcome
		command := exec.Command(binary, "publish", "--lane", string(lane))
		command.Env = append(s.environment(), s.as(topology.UserUpstream)...)
		command.Stdin = bytes.NewReader(append(r.value, '\n'))
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("publish: %v\n%s", err, out)
		}
	}
	s.mustRunAs(topology.UserOperator, "control", "pause", "type:one_time_code")
	time.Sleep(inForce)
	publish(order("left", "left"), "ignored/suppressed")
	publish(event("paused", `{"id":"paused","type":"one_time_code","channel":"sms","mobilePhone":"+358401234567","ctx":{"code":"004211"}}`),
		"pending_delivery/paused")
	publish(event("later", `{"id":"later","type":"order_confirmation","email":"kim@mail.%s","scheduled":%q,`+
		`"ctx":{"firstName":"Kim","order":{"number":"A-1","total":"9.90","currency":"EUR"}}}`,
		recipientDomain, time.Now().Add(4*time.Second).UTC().Format(topology.TimeFormat)), "sent")
	s.publish(lane, event("bad", "{bad"))
	s.awaitOutcomes(30*time.Second, want)
	s.mustRunAs(topology.UserOperator, "control", "resume", "type:one_time_code")
	want["paused"] = "sent"
	s.awaitOutcomes(20*time.Second, want)
	s.mustRunAs(topology.UserReader, "status", "later")
	s.eventually(20*time.Second, "the receiver is told", func() error {
		return toldOf(told, map[string]string{"later": "sent", "left": "ignored/suppressed"})
	})
	if letters, err := s.cluster.read(string(s.topics.DeadLetters(lane))); err != nil || len(letters) == 0 {
		t.Errorf("%d dead letters, %v", len(letters), err)
	}

	s.eventually(20*time.Second, "all are accounted for", func() error {
		return auditor.shows(append(unaccounted(lane, 0, 0, 0), `meddela_audit_open{lane="realtime"} 0`))
	})
	s.mustRunAs(topology.UserOperator, "resend", "later", "--new-message", "--yes")
	s.mustRunAs(topology.UserOperator, "dead-letters", "redrive", "--lane", string(lane), "--yes")
	s.replaceCertificates(lane)
	s.keptPlaces()
	s.refused(lane)
	s.deniedLetter(lane)
	s.missing(lane)
	s.add(topology.UserOperator, topology.Batch)
	s.mustRunAs(topology.UserOperator, "status", "rebuild", "--replace")
	s.mustRunAs(topology.UserOperator, "status", "verify")
	s.mustRunAs(topology.UserOperator, "status", "later", "--history")
}

// replaceCertificates has new authorities everywhere while events flow.
func (s *secured) replaceCertificates(lane topology.Lane) {
	certificates := os.Getenv("MEDDELA_TEST_CERTIFICATES")
	s.t.Helper()
	stream := s.stream(lane, func(i int) (record, string) { return order(fmt.Sprintf("renewed-%d", i), "mail"), "sent" })
	stream.awaitPublished(100)
	// First another authority is trusted, then its certificates are used.
	for _, step := range []struct {
		renew, setting, file string
		ours                 []string
	}{
		{"authority", "truststore", "ca.crt", []string{"ca.crt"}},
		{"certificates", "keystore", "server.pem", []string{"client.key", "client.crt"}}, // half replaced for a moment
	} {
		if err := serverScript("renew", step.renew); err != nil {
			s.t.Fatal(err)
		}
		s.reload("listener.name.secure.ssl."+step.setting+".location", filepath.Join(certificates, step.file))
		for _, name := range step.ours {
			s.copy(filepath.Join(certificates, name), s.file(name))
		}
	}
	// Every session ends in this time, and so every connection is a new one.
	for end := time.Now().Add(sessionTime * 3 / 2); time.Now().Before(end); {
		stream.awaitPublished(100)
		s.awaitOutcomes(10*time.Second, stream.published())
	}
	s.awaitOutcomes(20*time.Second, stream.end())
}

// reload has all servers read their certificates again.
func (s *secured) reload(setting, path string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), askTimeout)
	defer cancel()
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	for i := range s.brokers {
		request.Resources = append(request.Resources, kmsg.IncrementalAlterConfigsRequestResource{
			ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: fmt.Sprint(i + 1),
			Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: setting, Value: &path}}})
	}
	for _, shard := range s.cluster.client.RequestSharded(ctx, request) {
		if shard.Err != nil {
			s.t.Fatal(shard.Err)
		}
		for _, r := range shard.Resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
			if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
				s.t.Fatalf("%s: %v %v", setting, err, r.ErrorMessage)
			}
		}
	}
	rule := []any{"config", "set"}
	for name, file := range map[string]string{"cert": "server.crt", "key": "server.key", "ca-cert": "ca.crt"} {
		rule = append(rule, "tls-"+name+"-file", filepath.Join(filepath.Dir(path), file))
	}
	if err := s.store.Do(ctx, rule...).Err(); err != nil {
		s.t.Fatal(err)
	}
}

// sessionTime is the brokers' connections.max.reauth.ms.
const sessionTime = 10 * time.Second

// refused is what a user may not do: anything that is another's.
func (s *secured) refused(lane topology.Lane) {
	s.t.Helper()
	all := make([]string, len(topology.Users()))
	for i, other := range topology.Users() {
		all[i] = string(other)
	}
	for _, user := range topology.Users() {
		out, _ := s.runAs(user, "check", "-o", "json", "--user", strings.Join(all, ","), "--lane", string(lane))
		for _, other := range topology.Users() {
			own := s.topics.Rights(user, lane)
			if user == topology.User(topology.RoleAudit) { // which is one for both lanes
				own = append(own, s.topics.Rights(user, topology.Batch)...)
			}
			for _, right := range s.topics.Rights(other, lane) {
				has := slices.ContainsFunc(own, func(r topology.Right) bool {
					implied := right.Operation == topology.OpDescribe && r.Operation != topology.OpCreate &&
						r.Operation != topology.OpDescribeConfigs
					return r.Topic == right.Topic && r.Group == right.Group && (r.Operation == right.Operation || implied)
				})
				told := strings.Contains(out, right.String()+",") || strings.Contains(out, right.String()+`"`)
				if told == has {
					s.t.Errorf("%s: check of what %s needs, of %q, which it has: %v\n%s", user, other, right, has, out)
				}
			}
		}
	}
	status := redis.NewClient(&redis.Options{Addr: s.redis, Username: s.name(topology.User(topology.RoleStatus)),
		Password: password})
	defer status.Close()
	ctx := s.t.Context()
	if err := status.HSet(ctx, s.redisKeys.Event("x"), "f", "v").Err(); err != nil {
		s.t.Errorf("the status role's user: %v", err)
	}
	status.Del(ctx, s.redisKeys.Event("x"))
	for what, err := range map[string]error{
		"another's key":    status.HSet(ctx, s.redisKeys.Suppressions(1), "f", "v").Err(),
		"another command":  status.ZCard(ctx, s.redisKeys.Event("x")).Err(),
		"another's prefix": status.HSet(ctx, topology.Keys{Prefix: "elsewhere:"}.Event("x"), "f", "v").Err(),
		"all of it":        status.FlushAll(ctx).Err(),
	} {
		if !redis.IsPermissionError(err) {
			s.t.Errorf("the status role's user may: %s: %v", what, err)
		}
	}
	out, err := s.runAs(topology.User(topology.RoleStatus), "suppressions", "add", "kim@x."+recipientDomain)
	if err == nil || !strings.Contains(out, "Authorization Failed") {
		s.t.Errorf("the status role's user may change suppressions: %v %s", err, out)
	}
}

// missing is that check and the role itself name a right that is missing.
func (s *secured) missing(lane topology.Lane) {
	s.t.Helper()
	for _, user := range topology.Users() {
		rights := s.topics.Rights(user, lane)
		for i := range rights[:min(len(rights), 2)] { // the first and the last of each
			right := rights[i*(len(rights)-1)]
			s.allow(user, right, false)
			s.eventually(10*time.Second, "check names "+right.String(), func() error {
				if out, err := s.runAs(user, "check", "--user", string(user), "--lane", string(lane)); err == nil ||
					!strings.Contains(out, "missing: ") || !strings.Contains(out, right.String()) {
					return fmt.Errorf("%v: %s", err, out)
				}
				return nil
			})
			s.allow(user, right, true)
		}
		if rights := s.redisKeys.Rights(user); len(rights.Commands) > 0 && rights.Commands[0] != "hgetall KEY" {
			less := rights
			less.Commands = slices.Clone(rights.Commands[:len(rights.Commands)-1])
			s.allowRedis(user, less)
			word := strings.Fields(rights.Commands[len(rights.Commands)-1])[0]
			if out, err := s.runAs(user, "check", "--user", string(user), "--lane", string(lane)); err == nil ||
				!strings.Contains(out, word+" on ") {
				s.t.Errorf("check of %s without %s: %v\n%s", user, word, err, out)
			}
			s.allowRedis(user, rights)
		}
	}
}

// deniedLetter: a dead letter that may not be written holds up nothing.
func (s *secured) deniedLetter(lane topology.Lane) {
	s.t.Helper()
	for _, operation := range []topology.Operation{topology.OpWrite, topology.OpDescribe} {
		right := topology.Right{Operation: topology.OpWrite, Topic: s.topics.DeadLetters(lane)}
		for _, role := range topology.Roles() {
			s.allow(topology.User(role), right, false)
			if operation == topology.OpDescribe { // it may see the topic, and no more
				s.allow(topology.User(role), topology.Right{Operation: operation, Topic: right.Topic}, true)
			}
		}
		time.Sleep(2 * time.Second) // until all brokers and clients have seen it
		want := map[string]string{}
		bad := event("bad", "{bad")
		bad.partition = 0
		for i := range 10 {
			r := order(fmt.Sprintf("behind-%s-%d", operation, i), "mail")
			r.partition = 0
			s.publish(lane, bad, r)
			want[r.key] = "sent"
		}
		s.awaitOutcomes(20*time.Second, want)
		for _, role := range topology.Roles() {
			s.allow(topology.User(role), right, true)
		}
	}
}

// keptPlaces: through all of it nobody has joined its group again.
func (s *secured) keptPlaces() {
	s.t.Helper()
	for _, p := range s.processes {
		log, err := os.ReadFile(p.log)
		if err != nil {
			s.t.Fatal(err)
		}
		groups := 1
		if p.role == topology.RoleAudit {
			groups = 0 // it is a member of none
		}
		if p.role == topology.RoleDeliver {
			groups = len(topology.Channels())
		}
		if n := bytes.Count(log, []byte("partitions assigned")); n != groups {
			s.t.Errorf("%s has joined %d times, want %d", p.name, n, groups)
		}
	}
}
