package main

import (
	"fmt"
	"net"
)

// echo serves until it is killed: a goroutine per connection sends back what it reads.
func echo(a flags) {
	port := a.number("port", 9000)
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		panic(err)
	}
	fmt.Printf("{\"bench\":\"echo\",\"peer\":\"go\",\"workers\":%d,\"listening\":%d}\n",
		a.number("workers", 1), port)
	for {
		connection, err := listener.Accept()
		if err != nil {
			continue
		}
		go serve(connection)
	}
}

func serve(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 1024)
	for {
		read, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:read]); err != nil {
			return
		}
	}
}
