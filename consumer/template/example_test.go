package template_test

import (
	"fmt"
	"log"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// A template is compiled once, and rendered for each event; values are escaped by where they stand.
func ExampleCompile() {
	compiled, err := template.Compile(topology.TemplateRecord{
		Name: "welcome", Version: "1", Types: []string{"welcome"}, Channel: topology.Email, DefaultLanguage: "en",
		Bodies: map[string]map[string]string{"en": {
			"email.subject": "Welcome, {{.ctx.name}}",
			"email.html":    "<p>Hello <b>{{.ctx.name}}</b></p>",
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	event := topology.Event{Channel: topology.Email, To: "kim@example.com", Ctx: []byte(`{"name": "Kim <3"}`)}
	message, err := compiled.Render(&event, "en")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.Subject)
	fmt.Println(message.HTML)

	event.Ctx = []byte(`{}`)
	_, err = compiled.Render(&event, "en")
	fmt.Println(err)
	// Output:
	// Welcome, Kim <3
	// <p>Hello <b>Kim &lt;3</b></p>
	// welcome@1 en/email.html:1: ctx.name is missing
}
