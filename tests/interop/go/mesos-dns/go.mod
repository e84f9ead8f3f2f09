module fairlead.interop/mesos-dns

go 1.19

require (
	github.com/dgrijalva/jwt-go v2.7.0+incompatible
	github.com/emicklei/go-restful v2.16.0+incompatible
	github.com/gogo/protobuf v1.3.2
	github.com/golang/glog v0.0.0-20150731225221-fca8c8854093
	github.com/kylelemons/godebug v1.1.0
	github.com/mesos/mesos-go v0.0.2
	github.com/mesosphere/mesos-dns v0.6.0
	github.com/miekg/dns v1.0.0
	github.com/samuel/go-zookeeper v0.0.0-20150817175050-177002e16a00
	github.com/tv42/zbase32 v0.0.0-20150911225513-03389da7e0bf
	golang.org/x/net v0.7.0
)

require github.com/stretchr/testify v1.8.0 // indirect
