-- What the statements of this folder name. Every table has the same columns and three rows.
create table res_partner (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into res_partner (id) select generate_series(1, 3);
create table res_users (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into res_users (id) select generate_series(1, 3);
create table res_company (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into res_company (id) select generate_series(1, 3);
create table sale_order (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into sale_order (id) select generate_series(1, 3);
create table sale_order_line (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into sale_order_line (id) select generate_series(1, 3);
create table account_move (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into account_move (id) select generate_series(1, 3);
create table account_move_line (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into account_move_line (id) select generate_series(1, 3);
create table stock_move (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into stock_move (id) select generate_series(1, 3);
create table stock_picking (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into stock_picking (id) select generate_series(1, 3);
create table stock_quant (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into stock_quant (id) select generate_series(1, 3);
create table project_task (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into project_task (id) select generate_series(1, 3);
create table mail_message (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into mail_message (id) select generate_series(1, 3);
create table mail_followers (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into mail_followers (id) select generate_series(1, 3);
create table ir_attachment (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into ir_attachment (id) select generate_series(1, 3);
create table ir_config_parameter (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into ir_config_parameter (id) select generate_series(1, 3);
create table crm_lead (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into crm_lead (id) select generate_series(1, 3);
create table hr_employee (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into hr_employee (id) select generate_series(1, 3);
create table purchase_order (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into purchase_order (id) select generate_series(1, 3);
create table pos_order (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name varchar default 'Name');
insert into pos_order (id) select generate_series(1, 3);
create table product_template (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name jsonb default '{"en_US": "Name", "fr_FR": "Nom"}');
insert into product_template (id) select generate_series(1, 3);
create table product_product (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name jsonb default '{"en_US": "Name", "fr_FR": "Nom"}');
insert into product_product (id) select generate_series(1, 3);
create table account_account (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name jsonb default '{"en_US": "Name", "fr_FR": "Nom"}');
insert into account_account (id) select generate_series(1, 3);
create table account_tax (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name jsonb default '{"en_US": "Name", "fr_FR": "Nom"}');
insert into account_tax (id) select generate_series(1, 3);
create table uom_uom (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name jsonb default '{"en_US": "Name", "fr_FR": "Nom"}');
insert into uom_uom (id) select generate_series(1, 3);
create table res_country (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name jsonb default '{"en_US": "Name", "fr_FR": "Nom"}');
insert into res_country (id) select generate_series(1, 3);
create table ir_model (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name jsonb default '{"en_US": "Name", "fr_FR": "Nom"}');
insert into ir_model (id) select generate_series(1, 3);
create table ir_ui_menu (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name jsonb default '{"en_US": "Name", "fr_FR": "Nom"}');
insert into ir_ui_menu (id) select generate_series(1, 3);
create table crm_stage (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name jsonb default '{"en_US": "Name", "fr_FR": "Nom"}');
insert into crm_stage (id) select generate_series(1, 3);
create table project_task_type (id serial primary key, active boolean default true, state varchar default 'draft', partner_id int default 1, company_id int default 1, user_id int default 1,
	parent_id int, parent_path varchar default '1/', product_id int default 1, move_id int default 1, amount_total numeric default 100.5, quantity double precision default 2, debit numeric default 10, credit numeric default 4,
	date date default '2024-01-15', create_date timestamp default '2024-01-15 10:00:00', write_date timestamp default '2024-01-16 10:00:00',
	create_uid int default 1, write_uid int default 1, sequence int default 10, email varchar default 'a@example.com', description text default 'words', properties jsonb default '{"a": 1}', tags varchar[] default '{x,y}', company_data jsonb default '{"1": true}', name jsonb default '{"en_US": "Name", "fr_FR": "Nom"}');
insert into project_task_type (id) select generate_series(1, 3);
create table res_partner_category_rel (partner_id int, category_id int);
create table sale_order_tag_rel (order_id int, tag_id int);
create extension if not exists pg_trgm;
create extension if not exists unaccent;
create sequence ir_sequence_001;
create table written (n int);
create unlogged table unlogged_cache (n int);
create schema other;
create function writes(int) returns int language sql volatile as 'insert into written values ($1) returning n';
create function quiet(int) returns int language sql immutable as 'select $1 + 1';
create function by_stable(text) returns text language sql stable as 'select upper($1)';
create function mixed(int) returns int language sql immutable as 'select $1';
create function mixed(text) returns int language sql volatile as 'insert into written values (1) returning n';
create function other.lower(text) returns text language sql volatile as 'insert into written values (1) returning ''x''';
create function numbers_default(int default nextval('ir_sequence_001')::int) returns int language sql immutable as 'select $1';
create function of_partner(res_partner) returns int language sql volatile as 'insert into written values (1) returning n';
create function writes_state(int, int) returns int language sql volatile as 'insert into written values (1) returning n';
create aggregate writing_sum (int) (sfunc = writes_state, stype = int, initcond = '0');
create aggregate plain_sum (int) (sfunc = int4pl, stype = int, initcond = '0');
create function writes_both(int, int) returns boolean language sql volatile as 'insert into written values (1) returning true';
create operator === (leftarg = int, rightarg = int, function = writes_both);
create function same(int, int) returns boolean language sql immutable as 'select $1 = $2';
create operator ==== (leftarg = int, rightarg = int, function = same);
create view plain_view as select id, name, lower(email) as email from res_partner;
create view view_of_view as select * from plain_view;
create view writing_view as select id, writes(id) as n from res_partner;
create view view_of_writing_view as select * from writing_view;
create view locking_view as select pg_try_advisory_lock(id) from res_partner;
create view random_view as select random() as r;
create view activity_view as select count(*) from pg_stat_activity;
create view sequence_view as select last_value from ir_sequence_001;
create view operator_view as select id === 1 as same from res_partner;
create view aggregate_view as select writing_sum(id) from res_partner;
create materialized view kept_view as select id, random() as r from res_partner;
create table guarded (id int);
alter table guarded enable row level security;
create policy guards on guarded using (writes(id) > 0);
create table guarded_well (id int);
alter table guarded_well enable row level security;
create policy guards on guarded_well using (quiet(id) > 0);
create table parted (id int) partition by range (id);
create table parted_1 partition of parted for values from (0) to (100);
create unlogged table parted_2 partition of parted for values from (100) to (200);
create table parted_well (id int) partition by range (id);
create table parted_well_1 partition of parted_well for values from (0) to (100);
create domain checked as int check (writes(value) > 0);
create domain unchecked as int;
create type mood as enum ('glad', 'sad');
create table "Odd Name" ("Weird ""Column""" int);
create function takes_checked(checked) returns int language sql immutable as 'select 1';
create function gives_checked() returns checked language sql immutable as 'select null::int';
create domain twofold as int check (writes(value) > 0);
create function twofold(text) returns int language sql immutable as 'select 1';
create type holds as (c checked);
create type spans as range (subtype = checked, multirange_type_name = many_spans);
create type coin as (n int);
create function coin_of(int) returns coin language sql volatile as 'insert into written values ($1) returning row(n)::coin';
create function weigh(coin) returns int language sql immutable as 'select $1.n';
create cast (int as coin) with function coin_of(int) as implicit;
create table coins (c coin, number int);
create type medal as (n int);
create function medal_less(medal, medal) returns boolean language sql immutable as 'select $1.n < $2.n';
create function medal_compare(medal, medal) returns int language sql volatile as 'insert into written values (1) returning n';
create operator #<# (leftarg = medal, rightarg = medal, function = medal_less);
create operator class medal_class default for type medal using btree as operator 1 #<#, function 1 medal_compare(medal, medal);
create table medals (m medal, number int);
create view medal_view as select number from (select distinct m, number from medals) x;
create view coin_view as select weigh(5);
create view record_view as select 1 as one from jsonb_to_recordset('[{"a": 1}]') as x(a checked);
create view xml_view as select 1 as one from xmltable('/a' passing '<a>5</a>' columns c checked path '.');
create view populate_view as select 1 as one from jsonb_populate_record(null::holds, '{"c": 5}');
create view array_in_view as select array_in('{5}', 'checked'::regtype, -1) is null as one;
create view spans_view as select spans(1, 2) is null as one;
create view default_view as select numbers_default();
create view sublink_view as select 1 as one where exists (select writes(1));
create view with_view as with recursive r as (select 1 as n union all select writes(n) from r where n < 3) select count(*) from r;
create view window_view as select sum(id) over (order by writes(id)) from res_partner;
create view function_view as select 1 as one from rows from (generate_series(1, 2), writes(1)) x;
create view policy_view as select id from guarded;
create view ruled_view as select id from res_partner;
create rule ruled as on insert to ruled_view do instead insert into written values (new.id);
create rule ruled_too as on update to ruled_view do instead select writes(1);
create table guarded_by_view (id int);
alter table guarded_by_view enable row level security;
create policy guards on guarded_by_view using (exists (select from writing_view v where v.id = guarded_by_view.id));
create table generated (id int default writes(1), twice int generated always as (id * 2) stored, number int generated always as identity);
create index generated_quiet on generated (quiet(id)) where quiet(id) > 0;
create table parted_by_call (id int) partition by range (quiet(id));
create table parted_by_call_1 partition of parted_by_call for values from (0) to (100);
create table corpus_ready ();
