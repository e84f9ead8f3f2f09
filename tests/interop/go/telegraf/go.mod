module fairlead.interop/telegraf

go 1.19

require github.com/influxdata/telegraf v1.20.4

require (
	github.com/gobwas/glob v0.2.3 // indirect
	github.com/tidwall/gjson v1.10.2 // indirect
	github.com/tidwall/match v1.1.1 // indirect
	github.com/tidwall/pretty v1.2.0 // indirect
)
