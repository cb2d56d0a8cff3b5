package control

import (
	"encoding/hex"
	"hash/fnv"
	"io"
	"strings"
	"time"

	"github.com/meddela/meddela/topology"
)

// Mark names the set of orders in force at a time: what was judged under a set
// of another name may be judged otherwise now. Who ordered what, and why, does
// not count.
func (o *Orders) Mark(now time.Time) string {
	hash := fnv.New64a()
	for _, order := range o.InForce(now) {
		_, _ = io.WriteString(hash, string(order.Action)+"\t"+string(order.Subject)+"\n")
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// Judge is the Verdict on a job whose message any of some providers may take:
// an order about a provider counts where there is one about each of them.
func (o *Orders) Judge(f *Facts, providers []string, now time.Time) (v Verdict, byProviders bool) {
	if v := o.Verdict(f, now); v.Order != nil || len(o.providers) == 0 || len(providers) == 0 {
		return v, false
	}
	for _, name := range providers {
		about := o.About(topology.SubjectProvider, name, now)
		switch {
		case about.Order == nil:
			return Verdict{}, false
		case v.Order == nil || about.Paused() && (v.Killed() || outweighs(v.Order, about.Order)):
			v = about // a pause before a kill; of pauses, the one that ends first
		}
	}
	return v, true
}

// SplitProviders reads the names of a HeaderPausedProviders.
func SplitProviders(header []byte) []string {
	if len(header) == 0 {
		return nil
	}
	return strings.Split(string(header), ",")
}
