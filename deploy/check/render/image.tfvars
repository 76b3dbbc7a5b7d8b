upstreams = [{ name = "aoai", address = "dais24-aoai-demo.openai.azure.com:443" }]
ami_id    = "ami-0123456789abcdef0"
