package quiet_test

import (
	"fmt"
	"log"
	"time"

	"github.com/meddela/meddela/consumer/deliver/recipient/quiet"
)

// When a message may be sent that must not wake anybody.
func ExampleHours_Until() {
	hours, err := quiet.Parse("21:00-08:00 Europe/Stockholm")
	if err != nil {
		log.Fatal(err)
	}
	night := time.Date(2026, 12, 1, 22, 30, 0, 0, time.UTC)
	for _, zone := range []string{"Europe/Stockholm", "America/New_York"} {
		end, isQuiet := hours.Until(night, zone, "")
		fmt.Println(zone, isQuiet, end.UTC().Format(time.RFC3339))
	}
	// Output:
	// Europe/Stockholm true 2026-12-02T07:00:00Z
	// America/New_York false 0001-01-01T00:00:00Z
}
