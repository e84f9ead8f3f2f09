// Runs Telegraf's own mesos input once against a master or an agent, and writes what it gathered as one object of JSON a metric.
// Usage: telegraf-mesos master|slave URL
package main

import (
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/influxdata/telegraf"
	"github.com/influxdata/telegraf/plugins/inputs"
	"github.com/influxdata/telegraf/plugins/inputs/mesos"
)

// What the input gathers goes to standard output; what it complains of ends the program badly.
type writer struct {
	telegraf.Accumulator
	errors int
}

func (w *writer) AddFields(name string, fields map[string]interface{}, tags map[string]string, _ ...time.Time) {
	json.NewEncoder(os.Stdout).Encode(map[string]interface{}{"name": name, "fields": fields, "tags": tags})
}

func (w *writer) AddError(err error) {
	if err != nil {
		log.Printf("error: %v", err)
		w.errors++
	}
}

// The input says through this what it misses.
type logger struct {
	*log.Logger
}

func (l logger) Errorf(format string, v ...interface{}) { l.Printf("error: "+format, v...) }
func (l logger) Error(v ...interface{})                 { l.Print(append([]interface{}{"error: "}, v...)...) }
func (l logger) Debugf(string, ...interface{})          {}
func (l logger) Debug(...interface{})                   {}
func (l logger) Warnf(format string, v ...interface{})  { l.Printf("warning: "+format, v...) }
func (l logger) Warn(v ...interface{})                  { l.Print(append([]interface{}{"warning: "}, v...)...) }
func (l logger) Infof(string, ...interface{})           {}
func (l logger) Info(...interface{})                    {}

func main() {
	input := inputs.Inputs["mesos"]().(*mesos.Mesos)
	input.Timeout = 10000 // ms
	input.Log = logger{log.Default()}
	if os.Args[1] == "master" {
		input.Masters = os.Args[2:]
	} else {
		input.Slaves = os.Args[2:]
	}
	acc := &writer{}
	acc.AddError(input.Gather(acc))
	if acc.errors > 0 {
		os.Exit(1)
	}
}
